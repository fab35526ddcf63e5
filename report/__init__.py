"""The report: the results of a run in, one self-contained HTML file out.

`evidence` sorts the trials into those that count and those that do not, `analysis` compares the
contenders in the headlines, `conclusion` puts the comparisons into sentences by stated rules, each
module of `sections` makes the figures and `charts` of its part of the page, and `build` lays all
of it out. Data flows in that order only.
"""
