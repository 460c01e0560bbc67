"""The steps that the notebooks call, a module for each room of the house; `clv.report.pipeline` puts them together."""
