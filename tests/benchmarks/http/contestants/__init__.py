"""
The same site, once for each framework, as its own documentation would have it written.

    /text            "Hello, World!"
    /json            the same in JSON
    /one/7           album 7, fetched by its key, in JSON
    /twenty/7        albums 7 to 26, each by its key, one after the other, in JSON
    /list            the first 100 albums with the names of their artists, which one
                     query joins, in JSON
    /page            a page of HTML with the first 100 albums and their artists, which
                     one query joins; the template is the same Jinja2 file for all
"""
