module raftmark/peers/adapter

go 1.27

require (
	golang.org/x/sync v0.23.0
	raftmark v0.0.0
)

require (
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/tinylib/msgp v1.6.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace raftmark => ../../go_reference
