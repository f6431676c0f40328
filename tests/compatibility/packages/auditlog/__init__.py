title = "django-auditlog"
requires = ["django-auditlog"]
apps = ["auditlog"]
middleware = ["auditlog.middleware.AuditlogMiddleware"]
settings = {"AUDITLOG_INCLUDE_TRACKING_MODELS": ["shop.Album"]}
