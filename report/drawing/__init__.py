"""How it is drawn: charts, SVG and LaTeX. Nothing is estimated here, and no page is known."""
