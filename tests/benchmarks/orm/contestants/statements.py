"""The SQL of the contestants without an ORM, with psycopg's placeholders."""

ALBUM = "a.id, a.title, a.year, a.released, a.rating, a.artist_id"

GET = f"SELECT {ALBUM} FROM album a WHERE a.id = %s"
ARTIST = "SELECT id, name FROM artist WHERE id = %s"
EXISTS = "SELECT 1 FROM album WHERE artist_id = %s AND year = %s LIMIT 1"
LIST = f"SELECT {ALBUM} FROM album a WHERE a.id > %s ORDER BY a.id LIMIT %s"
JOINED = (
    f"SELECT {ALBUM}, b.id, b.name FROM album a JOIN artist b ON b.id = a.artist_id"
    " WHERE a.id > %s ORDER BY a.id LIMIT %s"
)
TRACKS = "SELECT id, title, position, album_id FROM track WHERE album_id = ANY(%s)"
VALUES = "SELECT id, title, year FROM album WHERE id > %s ORDER BY id LIMIT %s"
CHAIN = (
    f"SELECT {ALBUM} FROM album a JOIN artist b ON b.id = a.artist_id"
    " WHERE b.name = %s AND NOT a.title = %s AND a.year >= %s"
    " ORDER BY a.year DESC, a.id LIMIT %s"
)
BULK_INSERT = "INSERT INTO entry (name, number, amount, day) VALUES (%s, %s, %s, %s)"
INSERT = f"{BULK_INSERT} RETURNING id"
UPDATE = "UPDATE counter SET number = %s WHERE id = %s"
COUNTER = "SELECT id, number FROM counter WHERE id = %s"
STREAM = "SELECT id, title, position, album_id FROM track ORDER BY id"
AGGREGATE = "SELECT count(*), max(year), sum(year) FROM album WHERE artist_id = %s"
