requires = ["channels"]
apps = ["channels"]
settings = {
    "CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
}
