"""Atoll's storage: the only place that speaks SQL.

The host calls `database.Database` and the stores it holds; rows come and go as the frozen data of
`records`. What must stay out: deciding anything that is not about keeping data whole, gRPC, and the
definitions of users.
"""
