"""The two REST APIs: they translate, check who asks, and nothing else. What they ask of the node stands in `verbs`.

In order of import: verbs, traffic, ranges, schemas_in, schemas_out, answers, openapi, problems, content, web, access |
short_way, metalink, torrent, documents, link_api | tus_files, tus_headers, tus, tus_api | account_api |
peer_api, client_api.
"""
