"""What other harnesses measured, read into runs of ours; and runs of ours, written as they write theirs."""
