"""Where files, models and runs are: folders, S3, MLflow."""
