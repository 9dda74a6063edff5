"""Problems that are known before a pipeline runs."""
