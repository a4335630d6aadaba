window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "../api-doc/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null, // Nothing is fetched from anywhere but this server.
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
};
