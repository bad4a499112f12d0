"""The kit finds what is broken, by the check that names it. A check that nothing fails proves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from callsheet_acme import Acme
from callsheet_acme.wire import AcmeWire
from core.tests.kit_mutants_seen import SEEN_MUTANTS
from core.tests.kit_mutants_unseen import Mutant, loaded, mutated
from core.tests.kit_mutants_unseen_acme import ACME_MUTANTS
from core.tests.kit_mutants_unseen_openai import OPENAI_MUTANTS
from core.tests.kit_runner import CHECKS, bench_of, complaint

from callsheet.testing import FakeUpstream

NAMED_BY = {
    "prompt_is_tidied": "W05",
    "falsy_options_are_dropped": "W04",
    "unknown_size_is_ignored": "W07",
    "references_are_dropped": "W07",
    "unknown_model_is_replaced": "W04",
    "order_is_reused": "W12",
    "temperature_zero_is_dropped": "W07",
    "id_opens_other_paths": "W05",
    "ids_are_decorated": "W02",
    "order_is_sent_again": "E01",
    "promises_too_much": "E01",
    "order_is_not_billable": "E01",
    "waits_until_done": "W09",
    "failed_job_is_an_error": "W10",
    "failure_has_no_reason": "W10",
    "unknown_state_is_failed": "W11",
    "failing_look_is_in_progress": "E01",
    "finished_jobs_are_shared": "W10",
    "cancellation_becomes_an_error": "L01",
    "asyncio_lock": "L07",
    "blocks_the_loop": "L05",
    "goes_past_io": "W01",
    "if_range_is_forgotten": "W07",
    "film_is_read_whole": "T06",
    "usage_chunk_is_dropped": "T03",
    "left_stream_stays_open": "T04",
    "broken_stream_ends_quietly": "T05",
    "error_with_status_200_is_an_answer": "E04",
    "errors_by_their_words": "E02",
    "retry_after_is_lost": "E03",
    "errors_do_not_pickle": "E07",
    "key_is_plain_text": "S10",
    "key_is_logged": "S10",
    "environment_beats_the_account": "W12",
    "key_at_construction": "S03",
    "address_read_at_import": "S02",
    "thread_from_construction": "S03",
    "declared_and_missing": "S09",
    "hook_has_a_typo": "S04",
    "notes_deny_what_is_offered": "S08",
    "models_promise_what_is_missing": "S08",
    "claims_to_be_embedded": "W02",
    "clip_is_read_whole": "W08",
    "file_must_be_a_path": "W01",
    "variant_is_ignored": "W07",
    "extension_says_only_what_was_added": "W02",
    "remix_forgets_the_original": "W05",
    "pages_start_over": "W05",
    "delete_always_succeeds": "E01",
    "closing_fails": "W01",
    "browser_call_shows_the_account_key": "W13",
    "one_secret_for_all_browsers": "W13",
    "lifetime_is_ignored": "W07",
    "sdp_answer_is_tidied": "W14",
    "call_id_is_lost": "W14",
    "hang_up_never_fails": "E01",
    "responses_are_not_stored": "W07",
    "callers_messages_are_changed": "W15",
    "unknown_fields_are_parsed_away": "W02",
    "resumed_stream_starts_over": "W07",
    "events_come_one_late": "T05",
    "stream_is_collected": "T06",
    "unknown_events_are_dropped": "T07",
}
"""The check that must name each of the mutants that were written by somebody who had not seen the checks."""
UNSEEN = [*ACME_MUTANTS, *OPENAI_MUTANTS]
SEEN = [(id, mutant) for id, mutants in SEEN_MUTANTS.items() for mutant in mutants]
CASES = [*((NAMED_BY.get(mutant.name, "?"), mutant) for mutant in UNSEEN), *SEEN]


def judged(mutant: Mutant, id: str, folder: Path, monkeypatch: Any) -> str | None:
    # S02 imports it anew, in a process of its own.
    (folder / f"mutant_{mutant.base}_{mutant.name}.py").write_text(mutated(mutant), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    kind = getattr(loaded(mutant), mutant.class_name)
    bench = bench_of(kind, AcmeWire if mutant.base == "acme" else FakeUpstream)
    try:
        return complaint(bench, id)
    finally:
        bench.close()


@pytest.mark.parametrize(("id", "mutant"), CASES, ids=[f"{id}-{mutant.name}" for id, mutant in CASES])
def test_it_is_caught(id, mutant, tmp_path, monkeypatch):
    said = judged(mutant, id, tmp_path, monkeypatch)
    assert said is not None, f"{id} finds nothing wrong with {mutant.name}: {mutant.fault}"


def test_there_are_enough_of_them():
    assert len(CASES) >= 25
    assert len(UNSEEN) * 2 >= len(CASES)  # most by somebody who had not seen the checks
    assert {mutant.name for mutant in UNSEEN} == set(NAMED_BY)


@pytest.mark.parametrize("id", sorted(CHECKS))
def test_the_good_one_passes(id):
    bench = bench_of(Acme, AcmeWire)
    assert complaint(bench, id) is None
    bench.close()
