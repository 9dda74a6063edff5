"""The model gate's checks: a module a key of the policy's `model`."""
