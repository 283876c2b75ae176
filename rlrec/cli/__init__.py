"""The command line: `app` finds the verb, `parsing` reads its flags, one file per verb does the work."""
