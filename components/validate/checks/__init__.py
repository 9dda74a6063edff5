"""The data gate's checks: a module a key of the contract or of the policy's `data`."""
