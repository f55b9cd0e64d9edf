"""Deep packet inspection: which application a flow carries, by its first payload bytes.

Signatures (TOML) are parsed by `signatures` and `expressions`, compiled by `compiler` into the
arrays that `kernels` matches; `engine` holds the state of each flow and hands out the verdicts;
`extractors` read the detail, `correlation` names the flows that others announced. Reading files
is not here: it belongs to `fabricscope.pipeline.signatures`.
"""
