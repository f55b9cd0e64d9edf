"""The pages of the live site, one a file; `registry` lists them in order of the navigation."""
