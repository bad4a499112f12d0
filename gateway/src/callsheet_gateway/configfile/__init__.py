"""Reading a config.yaml.

`document` is its YAML, with lines; `litellm` what LiteLLM's keys mean here; `sections` the file as a whole, and our own
keys; `report` what `--check` says of it.
"""
