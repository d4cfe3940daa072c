"""System checks: what an installation must have before it may be trusted."""
