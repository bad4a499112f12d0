"""LiteLLM's keys that are not ours: which can be passed over with a word, and which would be a lie to pass over.

A setting that keeps somebody out, or spending down, is refused: whoever wrote it relies on it. Everything else is said to
do nothing here, once, at the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from callsheet.config_values import Place

__all__ = ["ROUTING", "SECTIONS", "Section", "passed_over"]

_ACCESS = "it restricts who may do what, and Callsheet does not do that: take it out only if nothing relies on it"
_MONEY = "it limits what may be spent; here each key and each owner has a budget: see `callsheet keys budget --help`"
_CONTENT = (
    "it checks what is asked or answered, and Callsheet does not do that: take it out only if nothing relies on it"
)
_AUDIT = "it promises a record of changes, and Callsheet keeps none: take it out only if nothing relies on it"
_REQUEST = "it is a field of requests, which are not added to here: without it, something else would be asked, and paid"
_ELSEWHERE = "what stands elsewhere is not read: put it into this file"
_NEVER_ASKED = "no answers are made up here: the provider would be called, and paid"

_LIMITS = (
    "here it is gateway.max_requests, gateway.max_requests_per_key, and what `callsheet keys create` says of a key"
)
_RETRIES = "at most 3 attempts are made, and nothing is sent again that may have been paid for"
_STORE = "Callsheet needs no such database, and keeps its data in its own folder"
_LOGS = "no prompts and answers are logged here"
_CAPS = "requests and answers have caps of their own here: 32 MiB of JSON, 128 MiB of form"
_PRICES = "nothing here has such a price"


@frozen
class Section:
    """What is known of a section: `ours` are the keys that are read here; the others' values are reasons."""

    ours: tuple[str, ...]
    ignored: Mapping[str, str]
    refused: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """All the keys that it may have."""
        return [*self.ours, *self.ignored, *self.refused]


def _each(**names: str) -> dict[str, str]:
    """Keys by reason, the other way round: name -> reason."""
    reasons = {
        "access": _ACCESS, "money": _MONEY, "content": _CONTENT, "audit": _AUDIT, "request": _REQUEST,
        "elsewhere": _ELSEWHERE, "never_asked": _NEVER_ASKED, "limits": _LIMITS, "retries": _RETRIES,
        "store": _STORE, "logs": _LOGS, "prices": _PRICES, "nothing": "", "caps": _CAPS,
    }  # fmt: skip
    return {name: reasons[reason] for reason, words in names.items() for name in words.split()}


ROUTING: Mapping[str, tuple[str, ...]] = {
    "litellm_settings": (
        "num_retries", "allowed_fails", "fallbacks", "default_fallbacks", "context_window_fallbacks",
        "content_policy_fallbacks", "context_window_fallback_dict",
    ),
    "router_settings": (
        "routing_strategy", "num_retries", "retry_policy", "model_group_retry_policy", "allowed_fails", "cooldown_time",
        "disable_cooldowns", "fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks",
    ),
}  # fmt: skip
"""The keys that are about routing, by section: see theirs.py."""

_BUDGETS = """max_budget budget_duration max_user_budget max_end_user_budget max_end_user_budget_id
    max_internal_user_budget internal_user_budget_duration default_max_internal_user_budget soft_budget
    tag_budget_config provider_budget_config default_key_max_budget"""
_GUARDS = """guardrails blocked_user_list banned_keywords_list llm_guard_mode policies policy_attachments
    openai_moderations_model_name google_moderation_confidence_threshold"""

SECTIONS: Mapping[str, Section] = {
    "": Section(
        ours=(
            "accounts", "models", "gateway",
            "aliases", "routing",
            "model_list", "general_settings", "litellm_settings", "router_settings", "environment_variables",
        ),
        ignored=_each(nothing="""callback_settings mcp_servers mcp_tools vector_store_registry files_settings
            finetune_settings assistant_settings batch_settings prompts search_tools agent_list"""),
        refused=_each(content="guardrails policies policy_attachments", elsewhere="include credential_list"),
    ),
    "general_settings": Section(
        ours=("master_key",),
        ignored=_each(
            store="""database_url database_connection_pool_limit database_connection_timeout database_type
                database_args database_extra_connection_params use_redis_transaction_buffer disable_prisma_schema_update
                allow_requests_on_db_unavailable store_model_in_db supported_db_objects
                disable_adding_master_key_hash_to_db user_api_key_cache_ttl proxy_batch_write_at""",
            limits="max_parallel_requests global_max_parallel_requests",
            caps="max_request_size_mb max_response_size_mb",
            retries="disable_retry_on_max_parallel_request_limit_error",
            logs="""disable_spend_logs disable_spend_updates store_prompts_in_spend_logs
                maximum_spend_logs_retention_period maximum_spend_logs_retention_interval disable_error_logs""",
            nothing="""completion_model image_generation_model embedding_model moderation_model infer_model_from_keys
                alerting alerting_threshold alerting_args alert_types alert_to_webhook_url spend_report_frequency
                background_health_checks health_check_interval health_check_details health_check_concurrency
                use_shared_health_check enable_health_check_routing
                disable_master_key_return disable_reset_budget disable_responses_id_security
                proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time proxy_batch_polling_interval
                proxy_config_reload_interval ui_access_mode user_mcp_management_mode litellm_license
                key_management_system key_management_settings use_azure_key_vault use_google_kms
                pass_through_endpoints use_client_credentials_pass_through_routes use_x_forwarded_for public_routes
                litellm_key_header_name allow_client_side_credentials allow_user_auth forward_openai_org_id
                forward_client_headers_to_llm_api forward_llm_provider_auth_headers coding_agent_ui
                always_include_stream_usage""",
        ),
        refused=_each(
            access="""allowed_ips allowed_routes admin_only_routes custom_auth custom_auth_settings
                custom_sso custom_key_generate custom_key_update enable_jwt_auth litellm_jwtauth enable_oauth2_auth
                enable_oauth2_proxy_auth oauth2_config_mappings enforce_user_param enforced_params
                reject_clientside_metadata_tags service_account_settings default_team_disabled role_permissions
                blocked_keys blocked_ips""",
            audit="store_audit_logs",
            money=_BUDGETS,
            content=_GUARDS,
        ),
    ),
    "litellm_settings": Section(
        ours=("request_timeout", "callbacks", "success_callback", "failure_callback", *ROUTING["litellm_settings"]),
        ignored=_each(
            retries="num_retries_per_request retry",
            limits="priority_reservation priority_reservation_settings",
            logs="""turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions json_logs
                set_verbose log_raw_request_response global_disable_no_log_param langfuse_default_tags
                s3_callback_params gcs_bucket_params""",
            nothing="""service_callbacks service_callback input_callback drop_params additional_drop_params modify_params
                cache cache_params caching caching_with_models enable_caching_on_provider_specific_optional_params
                enable_preview_features force_ipv4 ssl_verify ssl_certificate ssl_security_level telemetry
                mcp_aliases model_group_settings public_model_groups public_model_groups_links custom_provider_map
                default_team_settings disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only
                enable_end_user_cost_tracking_prometheus_only custom_prometheus_metadata_labels custom_prometheus_tags
                prometheus_metrics_config prometheus_initialize_budget_metrics require_auth_for_metrics_endpoint
                stream_chunk_timeout aiohttp_trust_env disable_aiohttp_transport use_aiohttp_transport
                disable_add_transform_inline_image_block disable_hf_tokenizer_download disable_stop_sequence_limit
                disable_copilot_system_to_assistant enable_json_schema_validation enable_key_alias_format_validation
                enable_loadbalancing_on_batch_endpoints use_chat_completions_url_for_anthropic_messages
                forward_traceparent_to_llm_provider return_response_headers include_cost_in_streaming_usage
                add_user_information_to_llm_headers check_provider_endpoint default_in_memory_ttl""",
        ),
        refused=_each(
            money=_BUDGETS,
            access="""key_generation_settings upperbound_key_generate_params default_key_generate_params
                default_internal_user_params default_team_params require_user_param""",
            audit="store_audit_logs audit_log_callbacks",
            content=_GUARDS,
        ),
    ),
    "router_settings": Section(
        ours=("timeout", "model_group_alias", "default_max_parallel_requests", *ROUTING["router_settings"]),
        ignored=_each(
            retries="retry_after max_retries max_fallbacks",
            nothing="""routing_strategy_args stream_timeout allowed_fails_policy enable_pre_call_checks
                enable_pre_call_check optional_pre_call_checks
                redis_host redis_port redis_password redis_url redis_db redis_username redis_ssl cache_responses
                cache_kwargs caching_groups client_ttl polling_interval default_priority set_verbose debug_level
                alerting_config assistants_config ignore_invalid_deployments deployment_affinity_ttl_seconds
                tag_filtering_match_any router_general_settings search_tools""",
        ),
        refused=_each(
            money="provider_budget_config", access="enable_tag_filtering", request="default_litellm_params",
            content="guardrail_list",
        ),
    ),
    "litellm_params": Section(
        ours=(),
        ignored=_each(
            retries="max_retries num_retries",
            prices="""input_cost_per_image output_cost_per_image input_cost_per_character output_cost_per_character
                input_cost_per_pixel output_cost_per_pixel input_cost_per_query""",
            nothing="""stream_timeout drop_params additional_drop_params allowed_openai_params tags
                use_in_pass_through use_litellm_proxy merge_reasoning_content_in_choices ssl_verify litellm_trace_id
                configurable_clientside_auth_params cooldown_time allowed_fails force_timeout max_file_size_mb
                use_chat_completions_api supports_system_message""",
        ),
        refused=_each(
            money="max_budget budget_duration",
            access="team_id default_api_key_rpm_limit default_api_key_tpm_limit",
            content="guardrails blocked",
            elsewhere="litellm_credential_name",
            never_asked="mock_response mock_tool_calls mock_timeout mock_delay",
            request="""temperature top_p top_k n max_tokens max_completion_tokens max_output_tokens stop seed user stream
                presence_penalty frequency_penalty logit_bias logprobs top_logprobs response_format tools tool_choice
                parallel_tool_calls reasoning_effort thinking verbosity modalities audio prediction metadata extra_body
                extra_query store service_tier safety_settings cache_control_injection_points seconds size instructions
                prompt_id prompt_variables voice quality style background""",
        ),
    ),
    "model_info": Section((), {"access_groups": ""}, {"team_id": _ACCESS, "blocked": _ACCESS}),
}  # fmt: skip
"""By name; "" is the file itself. `model_info` is the user's own data otherwise."""

_GUARDING = frozenset({
    "presidio", "lakera", "lakera_prompt_injection", "llamaguard_moderations", "hide_secrets", "hide-secrets",
    "google_text_moderation", "openai_moderations", "llmguard_moderations", "detect_prompt_injection",
    "blocked_user_check", "banned_keywords", "azure_content_safety", "aporia", "aporia_prompt_injection",
    "bedrock_guardrails", "aim", "guardrails_ai", "dynamic_rate_limiter", "dynamic_rate_limiter_v3",
    "max_budget_limiter", "prompt_injection", "noma", "pillar", "model_armor", "javelin",
})  # fmt: skip
"""Callbacks that stop requests."""


def passed_over(section: str, values: Mapping[str, Any], place: Place) -> Iterable[tuple[Place, str]]:
    """What of a section does nothing here: where it stands, and what to say of it.

    Raises ConfigurationError for a key that is not passed over, unless it is switched off, by false or null.
    """
    known = SECTIONS[section]
    for key, value in values.items():
        if (reason := known.refused.get(key)) is not None and not (value is None or value is False):
            raise place.key(key).error(f"is LiteLLM's, and is not passed over: {reason}")
        if key in known.ignored:
            why = known.ignored[key]
            yield place.key(key), "is LiteLLM's and does nothing here" + (f": {why}" if why else "")
        if section == "litellm_settings" and key in {"callbacks", "success_callback", "failure_callback"}:
            names = value if isinstance(value, list) else [value]
            if any(isinstance(name, str) and name in _GUARDING for name in names):
                raise place.key(key).error(f"one of them is a guard, and is not passed over: {_CONTENT}")
            yield (
                place.key(key),
                "is LiteLLM's and does nothing here: if a callback refuses requests, nothing does so here",
            )
