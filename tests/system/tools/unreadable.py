"""A tool whose script block breaks a rule, so that it is listed and cannot be run."""
# /// script
# [tool.data20]
# queue = "nowhere"
# ///
