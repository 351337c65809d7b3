"""The subcommands of `conform`, one module each: HELP, add(parser) and main(options), which returns an exit status
(judge.verdict.Exit). A wrong command line or file raises UsageError: one line, exit 2."""
