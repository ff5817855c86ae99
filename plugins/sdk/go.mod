module github.com/openspms/spms/plugins/sdk

go 1.26.0
