"""How it is drawn: charts, SVG and LaTeX. Estimates nothing, and knows no page."""
