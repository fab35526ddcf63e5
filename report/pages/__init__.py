"""The pages: the report, its sections, the appendix, Markdown, trends and differences.

Each lays out what `findings` has found; what only one section shows is made in that section.
"""
