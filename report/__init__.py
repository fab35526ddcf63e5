"""The report: the results of a run in, one self-contained HTML file out.

A run goes one way through it, each stage a function from one form to the next:

- `findings.evidence.gather`: the trials that count, and those that do not;
- `findings.estimates` and `findings.headlines`: the contenders' figures, and how they compare;
- `findings.analysis.analyse`: all that the report says, as figures;
- `findings.conclusion`: the same in sentences, by stated rules;
- `pages.sections`: each section's figures and charts, drawn by `drawing`;
- `pages.build.render`: the page.

`model` has the forms in between, and imports none who makes or reads them.
"""
