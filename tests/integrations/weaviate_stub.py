"""As much of a Weaviate server as Embertune asks of one, on loopback: schema and aliases by HTTP, data by gRPC.

It keeps objects in memory and searches exactly; the real client talks to it. What it cannot show: Weaviate's own index,
its checks of schemas and properties, replication, and timing.
"""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
from weaviate.proto.v1 import aggregate_pb2, batch_pb2, properties_pb2, search_get_pb2

# What a server adds to a schema that says nothing of it (values of Weaviate 1.34's documentation).
INVERTED = {"bm25": {"b": 0.75, "k1": 1.2}, "cleanupIntervalSeconds": 60,
            "stopwords": {"preset": "en", "additions": None, "removals": None}}  # fmt: skip
SHARDS = {"virtualPerPhysical": 128, "desiredCount": 1, "actualCount": 1, "desiredVirtualCount": 128,
          "actualVirtualCount": 128, "key": "_id", "strategy": "hash", "function": "murmur3"}  # fmt: skip
HNSW = {"cleanupIntervalSeconds": 300, "distance": "cosine", "dynamicEfMin": 100, "dynamicEfMax": 500,
        "dynamicEfFactor": 8, "ef": -1, "efConstruction": 128, "filterStrategy": "sweeping", "flatSearchCutoff": 40000,
        "maxConnections": 32, "skip": False, "vectorCacheMaxObjects": 10**12}  # fmt: skip


def filled(schema):
    """Give a schema as the server would show it."""
    vectors = {
        name: {**config, "vectorIndexConfig": {**HNSW, **(config.get("vectorIndexConfig") or {})}}
        for name, config in schema.get("vectorConfig", {}).items()
    }
    told = {"indexFilterable": True, "indexSearchable": True, "indexRangeFilters": False, "tokenization": "word"}
    properties = [{**told, **each} for each in schema.get("properties", [])]
    return {"invertedIndexConfig": INVERTED, "shardingConfig": SHARDS, "replicationConfig": {"factor": 1}, **schema,
            "vectorConfig": vectors, "properties": properties}  # fmt: skip


def wanted_ids(filters):
    """Give the ids that a filter by id names: one, a list, or several joined by or."""
    listed = {*filters.value_text_array.values, *([filters.value_text] if filters.value_text else [])}
    return listed.union(*(wanted_ids(each) for each in filters.filters))


class WeaviateStub:
    def __init__(self):
        self.schema, self.objects, self.aliases = {}, {}, {}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, value = stub.http(self.command, self.path.partition("?")[0].removeprefix("/v1"), body)
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._pool = ThreadPoolExecutor(2)
        self._grpc = grpc.server(self._pool)
        kinds = {
            "Search": (search_get_pb2.SearchRequest, self.search),
            "BatchObjects": (batch_pb2.BatchObjectsRequest, self.batch),
            "Aggregate": (aggregate_pb2.AggregateRequest, self.aggregate),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=kind.FromString,
                response_serializer=lambda reply: reply.SerializeToString(),
            )
            for name, (kind, answer) in kinds.items()
        }
        self._grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("weaviate.v1.Weaviate", handlers)])
        port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.grpc_port = port

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()
        self._pool.shutdown()

    def http(self, verb, path, body):
        parts = path.strip("/").split("/")
        if parts[0] == "meta":
            return 200, {"version": "1.34.0", "hostname": self.url, "modules": {}}
        if parts == ["schema"] and verb == "POST":
            if body["class"] in self.schema or not body["vectorConfig"]:
                return 422, {"error": [{"message": "schema refused"}]}
            self.schema[body["class"]] = filled(body)
            self.objects[body["class"]] = {}
            return 200, body
        if parts == ["schema"]:
            return 200, {"classes": list(self.schema.values())}
        if parts[0] == "schema":
            found = self.schema.get(parts[1])
            return (200, found) if found else (404, {})
        if parts[0] == "aliases":
            return self.alias(verb, parts[1] if len(parts) > 1 else body["alias"], body.get("class"))
        return 404, {}

    def alias(self, verb, name, target):
        if verb in ("POST", "PUT"):
            if target not in self.schema or (verb == "POST") == (name in self.aliases):
                return 422, {"error": [{"message": "alias refused"}]}
            self.aliases[name] = target
        if name not in self.aliases:
            return 404, {}
        return 200, {"alias": name, "class": self.aliases[name]}

    def search(self, request, context):
        stored = self.objects[self.aliases.get(request.collection, request.collection)]
        ids = sorted(stored)
        if request.HasField("near_vector"):
            near = request.near_vector
            asked = np.frombuffer(near.vectors[0].vector_bytes if near.vectors else near.vector_bytes, "<f4")
            matrix = np.stack([stored[each][0] for each in ids])
            matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
            ids = [ids[at] for at in np.argsort(-(matrix @ asked), kind="stable")]
        if request.HasField("filters"):
            wanted = wanted_ids(request.filters)
            ids = [each for each in ids if each in wanted]
        if request.after:
            ids = [each for each in ids if each > request.after]
        return search_get_pb2.SearchReply(results=[self.result(request, each, stored) for each in ids[: request.limit]])

    def result(self, request, each, stored):
        vector, properties = stored[each]
        asked = request.properties
        whole = asked.return_all_nonref_properties or not request.HasField("properties")
        shown = properties if whole else {key: properties[key] for key in asked.non_ref_properties}
        fields = {key: properties_pb2.Value(text_value=value) for key, value in shown.items()}
        metadata = search_get_pb2.MetadataResult(id=each, id_as_bytes=uuid.UUID(each).bytes)
        if request.metadata.vector:
            metadata.vector_bytes = vector.astype("<f4").tobytes()
        kept = search_get_pb2.PropertiesResult(non_ref_props=properties_pb2.Properties(fields=fields))
        return search_get_pb2.SearchResult(metadata=metadata, properties=kept)

    def batch(self, request, context):
        for each in request.objects:
            raw = each.vectors[0].vector_bytes if each.vectors else each.vector_bytes
            properties = dict(each.properties.non_ref_properties)
            self.objects[each.collection][each.uuid] = (np.frombuffer(raw, "<f4"), properties)
        return batch_pb2.BatchObjectsReply()

    def aggregate(self, request, context):
        count = len(self.objects[self.aliases.get(request.collection, request.collection)])
        single = aggregate_pb2.AggregateReply.Single(objects_count=count)
        return aggregate_pb2.AggregateReply(single_result=single)
