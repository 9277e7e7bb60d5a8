from markupsafe import escape

print("flask", escape("<b>"))
