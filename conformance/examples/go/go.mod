module guestwire.example/agent

go 1.19
