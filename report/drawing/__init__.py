"""How it is drawn: charts, SVG and LaTeX."""
