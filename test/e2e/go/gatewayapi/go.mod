module multinet.dev/e2e/gatewayapi

go 1.26.0

toolchain go1.26.8

require sigs.k8s.io/gateway-api v1.5.1
