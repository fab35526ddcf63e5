"""The pages: the report, its sections, the appendix, Markdown, trends and differences."""
