"""Gateways, teams, probes, rules and recipients as a TOML file."""
