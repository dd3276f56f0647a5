"""The source code of plugins."""

OUTPUT_AND_TRANSFORM = """
@hookimpl
def kuma_sd_output_plugin():
    return OutputPlugin(open=print)

@hookimpl
def kuma_sd_transform_plugin():
    return TransformPlugin(open=print)
"""
