"""The report: the results of a run in, one self-contained HTML file out.

`analysis` turns a run into typed figures, `verdict` puts them into sentences by stated rules,
`figures` draws them, `build` lays all of it out on a page. Data flows in that order only.
"""
