from django_hosts import host, patterns

SITE = f"{__package__}.site"
host_patterns = patterns(
    "",
    host(r"www", SITE, name="www"),
    host(r"other\..*", f"{SITE}_other", name="other"),
)
