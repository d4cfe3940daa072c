"""A resilient client for the SaaS LiteLLM API, usable on its own."""
