"""The report: tables, figures and pages, from what the stages measured."""
