module cofferdam.dev/testkit/upstream

go 1.26
