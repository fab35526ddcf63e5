"""All tests of Raftmark. A package, so that its parts may be named like what they test."""
