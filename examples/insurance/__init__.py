"""The default example: who will use outpatient care heavily, from the RAND Health Insurance Experiment."""
