"""What a person sees: figures, the HTML report and the pages of the dashboard.

Importing the package imports nothing else; plotly and dash are imported by the modules that draw.
"""
