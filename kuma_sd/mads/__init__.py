"""The source: Kuma's Monitoring Assignment Discovery Service, over gRPC and HTTP."""
