"""The harness: it runs the trials, keeps their results and turns them into estimates.

Its wings follow the data, and each imports only those before it: `contenders` (who), `design` (what
is to be measured) and `codemetrics`; `runs` (what is kept); `experiment` (how it is measured) and
`analysis` (what it means), which know nothing of each other; `planning` and `baselines`; then
`primitives`, `tracking`, `exports` and `studies`. It knows contenders by their protocol alone, and
neither writes sentences nor draws.
"""
