"""What is concluded from the work that the log tells of: pure folds, performed by `app`."""
