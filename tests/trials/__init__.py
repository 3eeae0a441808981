"""Commands tried in forked children: watched, limited, killed at a chosen file operation."""
