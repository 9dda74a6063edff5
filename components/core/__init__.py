"""What the stages share: the user's files, verdicts, storage, tracking, reports."""
