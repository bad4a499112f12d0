"""Reading a config.yaml.

`document` is its YAML, with lines; `litellm` which of LiteLLM's keys do something here, and `theirs` what
those about routing mean; `sections` the file as a whole, and our own
keys; `report` what `--check` says of it.
"""
