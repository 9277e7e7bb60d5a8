from setuptools import setup

setup(name="app", version="1.0", packages=["app"], entry_points={"console_scripts": ["app-hello=app:main"]})
