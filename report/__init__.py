"""The report: results in, one HTML file out."""
