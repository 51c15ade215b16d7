"""pgvector: a SQL function, so that the database itself adapts the query it searches with.

Needs: psycopg pgserver
"""

import os
from pathlib import Path

import psycopg
from toy import DOCUMENTS, QUERY, save_adapter

import embertune

encoder = embertune.load_encoder("static")
print(embertune.export(save_adapter("my-adapter"), "pgvector", "tuned.sql", name="faq"))

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as db:  # postgresql://me@host/shop
    db.execute("CREATE EXTENSION IF NOT EXISTS vector")
    db.execute("DROP TABLE IF EXISTS docs")
    db.execute(f"CREATE TABLE docs (key text, embedding vector({encoder.spec.dimension}))")
    rows = encoder.encode_document(list(DOCUMENTS.values())).tolist()
    db.cursor().executemany("INSERT INTO docs VALUES (%s, %s)", [*zip(DOCUMENTS, map(str, rows), strict=True)])
    db.execute("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)")

    db.execute(Path("tuned.sql").read_text())  # or: psql -f tuned.sql
    base = str(encoder.encode_query([QUERY])[0].tolist())
    for (key,) in db.execute("SELECT key FROM docs ORDER BY embedding <=> faq_query(%s) LIMIT 3", [base]):
        print(key)
